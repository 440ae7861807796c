"""Not there, as on the machines of those who run the program; see `_programs_as_they_ship`."""

raise ModuleNotFoundError("rich is no package of the program", name="rich")
