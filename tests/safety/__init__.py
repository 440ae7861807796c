"""The list of attacks, a file for each: what is tried against every route and page, and what must come of it."""
