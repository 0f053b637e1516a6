# The service and what it imports, nothing else: no compiler, no tests, no embedded
# PostgreSQL. Deployed by digest, so this file's own base may follow its tag.
FROM python:3.12-slim AS build
WORKDIR /app
COPY requirements/service.txt requirements.txt
RUN python -m venv .venv
RUN .venv/bin/python -m pip install --no-cache-dir --disable-pip-version-check --require-hashes --only-binary=:all: --requirement requirements.txt
# The installer is not part of the program.
RUN .venv/bin/python -m pip uninstall --yes --quiet pip

FROM python:3.12-slim
WORKDIR /app
ENV PATH=/app/.venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    BIND_HOST=0.0.0.0
COPY --from=build /app/.venv .venv
COPY service service
# Where it comes from; `release.yml` says, and nothing that runs depends on it.
ARG REVISION=unknown
ARG SOURCE=unknown
ARG CREATED=unknown
ARG VERSION=unknown
LABEL org.opencontainers.image.title=event-service \
    org.opencontainers.image.revision=$REVISION \
    org.opencontainers.image.source=$SOURCE \
    org.opencontainers.image.created=$CREATED \
    org.opencontainers.image.version=$VERSION
# A number, so that a platform can check that it is not root.
USER 10001:10001
# Exec form: the service itself gets SIGTERM and drains.
CMD ["python", "-m", "service", "serve"]
