"""Everything that grader knows of a layer, in the file of its family.

`base.Kind` says what can be known, with defaults. A family's file (`convolution`, `pooling`, …) holds the
records of its layers and their `KINDS`; `network` writes out which layers there are. The rest is derived:
`kinds` finds the kind of a record or of a Keras class, `old_names` translates Keras 1 and 2, `shapes`
computes a whole network, `row` puts a layer into words. These are pure functions on data; the parent and both
children import them, and none imports Keras.
"""
