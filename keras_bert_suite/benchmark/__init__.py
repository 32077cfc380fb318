"""How fast the package is beside its peers: contestants in warm processes, taking turns."""
