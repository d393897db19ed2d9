/* SPDX-License-Identifier: Apache-2.0 */
/* Commands that wait for more signatures. */
#include "server/base/mem.h"
#include "server/service/fold.h"

struct pending *state_pending(const struct state *s, const uint8_t id[SHA256_LEN])
{
	for (size_t i = 0; i < s->n_pending; i++)
		if (memcmp(s->pending[i].id, id, SHA256_LEN) == 0)
			return &s->pending[i];
	return NULL;
}

void pending_free(struct pending *p)
{
	buf_release(&p->envelope);
	free(p->by);
}

void pending_keep(struct state *s, const uint8_t id[SHA256_LEN], struct bytes envelope,
	const char *by, uint64_t expires_s)
{
	struct pending *p = state_pending(s, id);

	if (p == NULL) {
		s->pending = mem_resize(s->pending, s->n_pending + 1, sizeof(*s->pending));
		p = &s->pending[s->n_pending++];
		*p = (struct pending){ .by = mem_strdup(by), .expires_s = expires_s };
		memcpy(p->id, id, SHA256_LEN);
	}
	p->envelope.len = 0;
	buf_add(&p->envelope, envelope.p, envelope.n);
}

static void take_out(struct state *s, size_t i)
{
	pending_free(&s->pending[i]);
	s->n_pending--;
	memmove(&s->pending[i], &s->pending[i + 1], (s->n_pending - i) * sizeof(*s->pending));
}

void pending_drop(struct state *s, const uint8_t id[SHA256_LEN])
{
	const struct pending *p = state_pending(s, id);

	if (p != NULL)
		take_out(s, (size_t)(p - s->pending));
}

void pending_expire(struct state *s, uint64_t now_ms)
{
	for (size_t i = s->n_pending; i > 0; i--)
		if (s->pending[i - 1].expires_s * 1000 < now_ms)
			take_out(s, i - 1);
}
