# One image for the five services and the migration; docker-compose.yml says which one a container is.
# Nothing here needs BuildKit. PYTHON_IMAGE may be any Python from 3.11 on Debian.
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
# As in deploy/local/setup.sh: an older uv does not know extra-build-dependencies.
ARG UV_VERSION=0.13.9
# The system's certificates, as pip takes them: a company's own authority is added to the base image.
ENV UV_PYTHON_DOWNLOADS=never UV_SYSTEM_CERTS=1
# python-esl comes as C++ and is compiled here; the final image needs no compiler.
RUN apt-get update \
 && apt-get install -y --no-install-recommends g++ \
 && rm -rf /var/lib/apt/lists/*
RUN pip install --no-cache-dir --disable-pip-version-check "uv==${UV_VERSION}"
WORKDIR /app
COPY pyproject.toml requirements.lock ./
# What pyproject.toml asks for at run time, in the versions and with the hashes of requirements.lock:
# the lock holds the tools of development too, which have no business in here.
RUN uv venv --python "$(command -v python3)" /venv \
 && VIRTUAL_ENV=/venv uv pip install --no-cache --compile-bytecode \
        --requirements pyproject.toml --constraints requirements.lock

FROM ${PYTHON_IMAGE}
# A fixed number, so that the owner of what is in the volume never changes.
RUN groupadd --gid 10001 voice-api \
 && useradd --uid 10001 --gid voice-api --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin voice-api \
 && install -d -o voice-api -g voice-api -m 700 /var/lib/voice-api
COPY --from=build /venv /venv
WORKDIR /app
COPY . .
# Readable by everybody, whatever the umask of the checkout; compiled now, as nobody writes here later.
RUN chmod -R a+rX . && python3 -m compileall -q .
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER voice-api
STOPSIGNAL SIGTERM
CMD ["python", "-m", "services.gateway"]
