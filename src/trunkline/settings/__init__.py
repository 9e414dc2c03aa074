"""What an operator may set, and how it is read. Every name stands in `sections.py`, on one page."""
