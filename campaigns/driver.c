/* SPDX-License-Identifier: Apache-2.0 */
#include "campaigns/driver.h"

#include <stdlib.h>

#include "coap/engine.h"

const struct camp_driver *camp_driver_of(enum camp_mech mech)
{
    switch (mech) {
    case CAMP_MECH_PELION:
        return &camp_driver_pelion;
    case CAMP_MECH_OBJECT5:
        return &camp_driver_object5;
    case CAMP_MECH_UNKNOWN:
        break;
    }
    return NULL;
}

void camp_content_fini(struct camp_content *content)
{
    free((void *)(uintptr_t)content->raw.p);
    (void)cx_body_unref(content->image);
    *content = (struct camp_content){0};
}
