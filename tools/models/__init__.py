"""The mill that makes the shipped list of models: public lists read, named and merged. Not in the wheel."""
