"""KallyAI over HTTP: client, models, errors. Nothing is imported here, so that models and errors stay cheap."""
