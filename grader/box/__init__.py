"""Run a process within limits, and in isolation where this machine has one."""
