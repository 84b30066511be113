.PHONY: demo test lint docs ci

demo test lint docs:
	python3 bootstrap.py $@

ci:
	.ci/run
