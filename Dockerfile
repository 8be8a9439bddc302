# Two stages: wheels by hash into a virtual environment, then that environment alone on a slim base.
# Build:  docker build --tag qobs:0.1.0 .
# Run:    docker run --read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges \
#           --volume qobs:/var/lib/qobs --volume ./qobs.yaml:/etc/qobs/qobs.yaml:ro --publish 127.0.0.1:9954:9954 qobs:0.1.0
# For a release, pin the base by digest: --build-arg BASE=python:3.13-slim@sha256:...
ARG BASE=python:3.13-slim

FROM ${BASE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src
RUN python -m venv /opt/qobs
COPY requirements/build.txt requirements/run.txt requirements/
RUN python -m venv /opt/build \
 && /opt/build/bin/python -m pip install --require-hashes --only-binary :all: --no-deps -r requirements/build.txt \
 && /opt/qobs/bin/python -m pip install --require-hashes --only-binary :all: --no-deps -r requirements/run.txt
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY qobs qobs
RUN /opt/build/bin/python -m pip wheel --no-deps --no-build-isolation --no-index --wheel-dir /dist . \
 && /opt/qobs/bin/python -m pip install --no-deps --no-index /dist/*.whl \
 && install -d -m 0700 -o 65532 -g 65532 /data

FROM ${BASE}
LABEL org.opencontainers.image.title="qobs" \
      org.opencontainers.image.description="Observability and service-level objectives for quantum computing" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="0.1.0"
ENV PATH=/opt/qobs/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    QOBS_STORE=sqlite:///var/lib/qobs/qobs.db
COPY --from=build /opt/qobs /opt/qobs
COPY --from=build --chown=65532:65532 /data /var/lib/qobs
USER 65532:65532
WORKDIR /var/lib/qobs
VOLUME /var/lib/qobs
EXPOSE 9954
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s --retries=3 \
  CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:9954/livez', timeout=4)"]
ENTRYPOINT ["qobs"]
CMD ["run", "--config", "/etc/qobs/qobs.yaml"]
