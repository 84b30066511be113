.PHONY: demo test lint ci

demo test lint:
	python3 bootstrap.py $@

ci:
	.ci/run
