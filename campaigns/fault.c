/* SPDX-License-Identifier: Apache-2.0 */
#include "campaigns/fault.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"

void camp_faults_init(struct camp_faults *f)
{
    static const char *const names[] = {
        [CAMP_FAULT_DECIDED] = "decided", [CAMP_FAULT_STORED] = "stored",
        [CAMP_FAULT_ASKED] = "asked",     [CAMP_FAULT_ANSWERED] = "answered",
        [CAMP_FAULT_BEGUN] = "begun",     [CAMP_FAULT_DONE] = "done",
    };
    const char *text = getenv("DROVER_TEST_DIE");
    const char *colon = text == NULL ? NULL : strchr(text, ':');

    *f = (struct camp_faults){.point = CAMP_FAULT_NONE};
    for (size_t i = 1; colon != NULL && i < DR_ARRAY_LEN(names); i++) {
        size_t len = strlen(names[i]);
        if ((size_t)(colon - text) == len && memcmp(text, names[i], len) == 0 &&
            dr_parse_u64(colon + 1, strlen(colon + 1), &f->at) == DR_OK) {
            f->point = (enum camp_fault_point)i;
            dr_log(DR_LOG_WARNING, "campaigns", "this process will die at '%s'", text);
        }
    }
}

void camp_fault(struct camp_faults *f, enum camp_fault_point point)
{
    if (f->point == point && ++f->seen == f->at) {
        (void)raise(SIGKILL);
    }
}
