COMMANDS = demo test lint docs fuzz audit package oldest

.PHONY: $(COMMANDS) ci

$(COMMANDS):
	python3 bootstrap.py $@

ci:
	.ci/run
