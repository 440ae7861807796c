"""The JSON API, one file for each group of routes; `rig` is the whole application on real data and the paper exchange."""
