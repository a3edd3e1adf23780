. $REPO/tests/support/golden_model.sh
cat >edgewise.yaml <<'END'
listen: 0.0.0.0:8080
devices:
  - models: [smollm2-135m]
clients:
  - name: kiosk
    key_hash: "b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9"
END
edgewise serve --config edgewise.yaml --port 9000 --check
