# Both services, one target each:
#   docker build --target auth-service --tag taskmanager/auth-service .
# Any base images with the same C library will do; the second needs that and libgcc, and no more.
ARG RUST_IMAGE=rust:1.95-bookworm
ARG RUNTIME_IMAGE=debian:bookworm-slim

FROM ${RUST_IMAGE} AS build
WORKDIR /src
COPY . .
# Cargo goes by the time of a file. Sources that are older than the cached target directory, as those
# of an earlier commit are, would pass for built: hence the touch. Dependencies stay built.
# What is in a cache mount is gone after the step, so the binaries are copied out of it.
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,target=/src/target,sharing=locked \
    find auth-service proto shared task-service -type f -exec touch {} + \
    && cargo build --release --locked --package auth-service --package task-service \
    && install -D --target-directory=/out target/release/auth-service target/release/task-service

# No command runs in the stages below, so that a base image without a shell will do too. The user has
# no entry in /etc/passwd and needs none.
FROM ${RUNTIME_IMAGE} AS auth-service
COPY --from=build /out/auth-service /usr/local/bin/auth-service
USER 10001:10001
EXPOSE 50051
ENTRYPOINT ["/usr/local/bin/auth-service"]

FROM ${RUNTIME_IMAGE} AS task-service
COPY --from=build /out/task-service /usr/local/bin/task-service
USER 10001:10001
EXPOSE 50052
ENTRYPOINT ["/usr/local/bin/task-service"]
