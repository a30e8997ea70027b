"""The child for jobs that will need TensorFlow: ``python -m grader.describe.child.of_code [USER]``."""

from grader.describe.child.serve import main

if __name__ == "__main__":
    main(of_code=True)
