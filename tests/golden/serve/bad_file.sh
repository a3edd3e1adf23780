cat >edgewise.yaml <<'END'
devices:
  - models: [smollm2-135m]
policy:
  queue: {max: 64, timeout: 10 parsecs}
END
edgewise serve --config edgewise.yaml --check
