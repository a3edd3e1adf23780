cat >front.yaml <<'END'
devices:
  - name: agx
    url: http://10.0.0.5:8080/v1
END
edgewise serve --config front.yaml --watts 5 --check
