"""What stands beside the tests: what reads measurements that are already concluded, and emits measurements."""
