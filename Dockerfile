# The program alone, in an image without a shell, as a user who is not root:
#
#   docker build -t callboard:0.1.0 .
#
# Probes, restarts and limits are the platform's: compose.yaml and k8s/ say them.

# The compiler is this image's and no other: its version must be one that Cargo.toml's `rust-version` admits, and that
# `channel` of rust-toolchain.toml names if it names one.
FROM rust:1.95.0-trixie@sha256:f49565f188ee00bc2a18dd418183f2c5f23ef7d6e691890517ed341a598f67c3 AS chef
# Over rust-toolchain.toml, which would have `stable` of the day installed.
ENV RUSTUP_TOOLCHAIN=1.95.0
RUN cargo install --locked cargo-chef@0.1.78
WORKDIR /src

# The page. Its own Node comes by npm where there is one for the machine; what Debian has builds it as well.
FROM chef AS page
RUN apt-get update \
    && apt-get install -y --no-install-recommends npm \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src/web
COPY web/package.json web/package-lock.json ./
RUN npm ci --no-audit --no-fund --ignore-scripts
COPY config/examples /src/config/examples
COPY web .
RUN npm run build

# What the dependencies are, without the sources: as long as this stays the same, so does the stage that builds them.
FROM chef AS plan
COPY . .
RUN cargo chef prepare --recipe-path recipe.json

FROM chef AS build
COPY --from=plan /src/recipe.json recipe.json
RUN cargo chef cook --locked --profile dist --package callboard --recipe-path recipe.json
COPY . .
COPY --from=page /src/web/dist/page web/dist/page
RUN cargo build --locked --profile dist --package callboard
# The only place that the program writes to (`data.dir`): a volume that is mounted there takes its owner from it.
RUN install -D -m 755 target/dist/callboard /image/bin/callboard && install -d -m 700 /image/lib/callboard

# glibc of the release that it was built on, certificates, time zones.
FROM gcr.io/distroless/cc-debian13:nonroot@sha256:54df941ed0d06a1bd95ef5e0ce391fd8d9f94b64782dc9a60062727849ee3f97
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="callboard" \
      org.opencontainers.image.description="Runs workflows of AI agents so that they survive" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.base.name="gcr.io/distroless/cc-debian13:nonroot"
COPY --from=build /image/bin/ /usr/local/bin/
COPY --from=build --chown=65532:65532 /image/lib/ /var/lib/
# By number: Kubernetes can tell that it is not root.
USER 65532:65532
# Nothing lies there that could speak for the operator: no settings, no agents, no data.
WORKDIR /home/nonroot
EXPOSE 8080
ENTRYPOINT ["/usr/local/bin/callboard"]
