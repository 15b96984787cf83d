# kallyai-mcp with two workers at http://0.0.0.0:8000/mcp, for amd64 and arm64: docs/hosting.md.
FROM python:3.13-slim-trixie AS build
WORKDIR /src
RUN python -m venv /app
COPY pyproject.toml README.md LICENSE ./
COPY kallyai_mcp kallyai_mcp
RUN /app/bin/pip install --no-cache-dir ".[http,postgres]"

FROM python:3.13-slim-trixie
RUN useradd --uid 10001 --create-home --home-dir /data kallyai
COPY --from=build /app /app
ENV PATH=/app/bin:$PATH KALLYAI_HOME=/data KALLYAI_TOKEN_STORE=file
USER 10001
WORKDIR /data
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/health', timeout=4)"]
# The keys that compose.yaml makes, if there are any.
ENTRYPOINT ["sh", "-c", "[ ! -r /keys/server.env ] || . /keys/server.env; exec \"$@\"", "sh"]
CMD ["uvicorn", "--factory", "kallyai_mcp.cli.serve_http:from_environment", "--workers", "2", "--host", "0.0.0.0", "--port", "8000", "--http", "kallyai_mcp.transports.uvicorn_server:HeaderTimeoutProtocol", "--ws", "none", "--no-access-log", "--no-server-header", "--timeout-keep-alive", "75", "--timeout-graceful-shutdown", "1", "--no-proxy-headers"]
