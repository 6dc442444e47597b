"""How anything leaves the machine: which addresses, with which credentials, over which protocol."""
