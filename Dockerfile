# The desk and the console; docker-compose.yml shows how they run.
FROM python:3.11.15-slim-bookworm

RUN useradd --uid 10001 --create-home quorum \
    && install --directory --owner quorum --group quorum /var/lib/quorum

WORKDIR /quorum

# The packages, pinned with hashes, in a layer of their own: a change of code does not install them again.
COPY quorum requirements.lock ./
RUN QUORUM_HOME=/tmp/setup ./quorum --setup && rm -rf /tmp/setup

COPY . .

USER quorum
ENV QUORUM_HOME=/var/lib/quorum
VOLUME /var/lib/quorum
ENTRYPOINT ["/quorum/quorum"]
