"""The commands behind the launcher: serving, the demo, people and tokens, doctor, backup, tests and benchmarks."""
