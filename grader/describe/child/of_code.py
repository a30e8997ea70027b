"""``python -m grader.describe.child.of_code [USER]``: the child for jobs that will need TensorFlow."""

from grader.describe.child.serve import main

if __name__ == "__main__":
    main(of_code=True)
