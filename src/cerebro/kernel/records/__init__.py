"""The store of record: the port, its drivers and the migrations."""
