/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an update has come to on a device that speaks another server's protocol (hawkBit, Mender,
 * Omaha): one state machine for all of them.
 *
 * A device has one action at a time.  "Installed" is what the old build says; only what the new one
 * says is a boot.  Each event of an action is counted once, however often the device repeats itself.
 * Pure; times in unix ms.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/core/offer.h"

/* Of what a device calls itself, in bytes. */
#define FOREIGN_NAME_MAX 128u

/* Numbers are on disk. */
enum foreign_protocol { FOREIGN_DDI = 1, FOREIGN_MENDER = 2, FOREIGN_OMAHA = 3, FOREIGN__END = 4 };

/* "hawkbit" and so on, as people write it. */
const char *foreign_protocol_str(enum foreign_protocol protocol);
/* 1 to FOREIGN_NAME_MAX of printable ASCII without blanks, slashes, quotes and backslashes. */
bool foreign_name_ok(struct bytes name);

/* Numbers are on disk. */
enum foreign_state {
	FOREIGN_IDLE,       /* no action, or the last one is closed */
	FOREIGN_OFFERED,    /* it was told of the action, and has said nothing */
	FOREIGN_INSTALLING, /* at work on it */
	FOREIGN_INSTALLED,  /* not confirmed: the new build will say so */
	FOREIGN_AWAITING, /* not confirmed: it will say nothing more of the action, but what it runs */
	FOREIGN_STATE__COUNT
};

/* "idle" and so on. */
const char *foreign_state_str(enum foreign_state state);

/* What is counted, a bit each; on disk, too. */
enum foreign_event {
	FOREIGN_EV_DOWNLOADED,
	FOREIGN_EV_INSTALLING, /* just before the reboot: from now on its boot is waited for */
	FOREIGN_EV_INSTALLED,
	FOREIGN_EV_BOOT_OK,
	FOREIGN_EV_INSTALL_FAILED,
	FOREIGN_EV_ROLLED_BACK,
	FOREIGN_EV__COUNT
};

/* What is remembered of the device. */
struct foreign {
	enum foreign_protocol protocol;
	enum foreign_state state;
	bool cancelling;   /* the action was halted, and the device has not acknowledged it */
	bool tells_build;  /* it has named the build it runs, once at least */
	bool wants;        /* what it runs should be asked for */
	uint32_t counted;  /* events of the action */
	uint32_t action;   /* the last one; 0: there was none */
	uint64_t build;    /* device_build_hash() of the action's build */
	uint64_t counter;  /* its release counter */
	uint64_t runs;     /* hash of the build it runs, as far as known; 0: not known */
	uint64_t since_ms; /* of this state */
};

/* What the device asks or says.  An adapter says what its protocol means, and no more. */
enum foreign_word {
	FOREIGN_POLL,         /* what is there for me?  Names its build, in some protocols */
	FOREIGN_FETCH,        /* the action's description */
	FOREIGN_FETCH_CANCEL, /* what is to be cancelled */
	FOREIGN_PROGRESS,     /* I am at it */
	FOREIGN_DOWNLOADED,   /* the file is here */
	FOREIGN_DONE,         /* all is in place, and I shall say whether it runs */
	FOREIGN_SUCCESS,      /* it is over, well: what that proves depends on what came before */
	FOREIGN_BOOTED,       /* the new build says that it runs */
	FOREIGN_FAILURE,      /* it is over, not well */
	FOREIGN_ROLLED_BACK,  /* the old build says that it came back */
	FOREIGN_CANCELLED,    /* acknowledges the cancelling */
	FOREIGN_ATTRIBUTES,   /* about itself: its build, or nothing of it */
	FOREIGN_HELLO,        /* here I am, and no more than that */
	FOREIGN_ALREADY,      /* I run what the action is to bring */
	FOREIGN_WORD__COUNT
};

struct foreign_said {
	enum foreign_word word;
	uint32_t action; /* that it is about; 0: the one under way */
	bool names_build;
	uint64_t build; /* that it says it runs */
};

/* How things stand, for this device. */
struct foreign_world {
	uint64_t now_ms;
	enum answer
		answer; /* of offer_decide(): looked at when there is no action, or it is only offered */
	uint64_t build, counter; /* with ANSWER_OFFER */
	bool halted;             /* the build of its action is not to be installed any more */
	bool no_cancel; /* the protocol has no way to cancel: what was halted is forgotten */
	/*
	 * Who is told to cancel takes back what it did, and then says failure; it is told by the answer to
	 * what it says of the action, and who asks what there is for it is at nothing.
	 */
	bool undoes;
	uint64_t patience_ms; /* so long "installed" may wait for the new build */
};

/* What to tell the device. */
enum foreign_tell {
	FOREIGN_NOTHING, /* there is nothing for it; what it said was taken */
	FOREIGN_DEPLOY,  /* the action */
	FOREIGN_CANCEL,  /* the action is to be cancelled */
	FOREIGN_GONE,    /* that action is not the last one any more */
	FOREIGN_UNKNOWN, /* there never was such an action, or it is not to be had now */
};

struct foreign_turn {
	struct foreign next; /* what is to be remembered */
	bool changed;        /* it is another than before */
	uint32_t
		events; /* to be counted now, a bit each, for the build of the action there was before */
	enum foreign_tell tell;
	bool wants; /* ask for its attributes */
};

/*
 * One exchange with the device.  The same said again changes nothing and counts nothing.
 */
struct foreign_turn foreign_step(const struct foreign *f, const struct foreign_said *said,
	const struct foreign_world *world);

/* Has an action that is not closed. */
static inline bool foreign_is_busy(const struct foreign *f)
{
	return f->state != FOREIGN_IDLE;
}
