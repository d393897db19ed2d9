/* SPDX-License-Identifier: Apache-2.0 */
#include "client-sdk/agent/agent.h"

int main(int argc, char **argv)
{
	static struct agent agent;
	struct settings settings;
	enum agent_exit code = AGENT_FAILED;

	if (!settings_read(&settings, argc, argv))
		return AGENT_USAGE;
	if (agent_open(&agent, &settings) == 0)
		code = agent_run(&agent);
	agent_close(&agent);
	return (int)code;
}
