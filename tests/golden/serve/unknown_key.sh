cat >edgewise.yaml <<'END'
devices:
  - models: [smollm2-135m]
lisen: 127.0.0.1:8080
END
edgewise serve --config edgewise.yaml --check
