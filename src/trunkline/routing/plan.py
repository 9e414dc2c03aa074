"""Request + catalog → the ordered attempts. Preferences and ranking plug in here."""
