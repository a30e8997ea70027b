# The box for machines where bubblewrap cannot run: grader without its data, one container per submission.
# `make image` builds it; `grader check --isolation` then finds it by itself.
FROM python:3.12-slim AS build
WORKDIR /src
COPY requirements.lock pyproject.toml README.md ./
RUN python -I -m venv /opt/grader \
    && /opt/grader/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements.lock
COPY grader grader
COPY rubrics rubrics
RUN /opt/grader/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps --no-build-isolation . \
    # Test labels and rubrics have no place where strangers' code runs.
    && rm -rf /opt/grader/lib/python*/site-packages/grader/data/files/*.npz \
              /opt/grader/lib/python*/site-packages/grader/rubrics/*.toml

FROM python:3.12-slim
COPY --from=build /opt/grader /opt/grader
ENV PATH=/opt/grader/bin:$PATH
# Where a memory file system is mounted; Podman gives it the mode of what lies below.
RUN install --directory --mode 1777 /box
USER 65534:65534
WORKDIR /box
CMD ["python3", "-I", "-m", "grader.describe.child.confine", "65534"]
