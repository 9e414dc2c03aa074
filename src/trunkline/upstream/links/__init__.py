"""Links that somebody else wrote: where they lead, fetched without harm."""
