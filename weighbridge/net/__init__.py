"""Access to the network: addresses, credentials and protocols of every request that leaves the machine."""
