"""The simulated estate: services, stores, queues and hosts as columns, moved on a virtual clock from one seed."""
