"""The trusted child: rebuilds a network from our own records and trains it.

It holds the test labels, so it never runs, imports or deserialises anything of a student's: its
only input is a validated `grader.records.TrainJob`. Nobody imports it.
"""
