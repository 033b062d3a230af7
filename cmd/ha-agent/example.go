package main

// example returns a command line that shows a command.
func example(name string) string {
	switch name {
	case "run":
		return "ha-agent run --config /etc/ha-agent/agent.yaml"
	case "check":
		return "ha-agent check --timeout 500ms"
	case "status":
		return "sudo ha-agent status --json"
	case "verify":
		return "sudo ha-agent verify"
	case "guard":
		return "sudo ha-agent guard --reload haproxy"
	case "release":
		return "sudo ha-agent release"
	case "apply":
		return "sudo ha-agent apply --timeout 2m rendered/lb1"
	case "maintenance":
		return "sudo ha-agent maintenance on --for 1h"
	case "inventory":
		return "ha-agent inventory <request.json"
	case "version":
		return "ha-agent version"
	case "revision":
		return "sudo ha-agent revision show"
	}
	return "ha-agent help"
}
