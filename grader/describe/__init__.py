"""The untrusted child: runs a submission and answers with a description of its models.

It runs students' code, so nothing it says is believed: its answer is one JSON document that the
parent validates as `grader.records.Description`. It never sees test labels. Nobody imports it.
"""
