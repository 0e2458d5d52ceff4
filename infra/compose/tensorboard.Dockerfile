# TensorBoard alone: TensorFlow's own image has it too, in ten times the size.
FROM python:3.12.13-slim-bookworm
RUN pip install --no-cache-dir tensorboard==2.20.0 setuptools==80.9.0
USER 65534:65534
EXPOSE 6006
ENTRYPOINT ["tensorboard"]
