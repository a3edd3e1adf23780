cat >edgewise.yaml <<'END'
devices:
  - name: agx
    url: http://10.0.0.5:8080/v1
clouds:
  - name: openai
    key_env: OPENAI_API_KEY
    price: openai/gpt-5.4-mink
END
edgewise serve --config edgewise.yaml --check
