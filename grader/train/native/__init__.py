"""The native engine: trains on processors several times faster than Keras, and computes the same.

A mini-batch is cut into tiles of sixteen images, the innermost axis of every array, so that each
instruction works on one number of sixteen images at a time, however few channels a network has. A network
becomes a program of such instructions (`layers`, `plan`), which compiled kernels run on all cores
(`machine`). What is not covered, and for which setting, `support` says; Keras trains it.
"""
