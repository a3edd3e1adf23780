cat >edgewise.yaml <<'END'
clouds:
  - name: sky
    url: http://127.0.0.1:9/v1
    key_env: NO_SUCH_KEY
  - name: sea
    url: http://127.0.0.1:9/v1
    key_file: no-such.key
END
edgewise serve --config edgewise.yaml --check
