/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Objects of the Pelion client, as its devices have them: they take a manifest by Execute where the
 * public registry says Write, and vendor and class are bytes where it says text. Rows: id, type,
 * operations, multiple, mandatory, name, range, units.
 */
#include "lwm2m/model_priv.h"

#define R_ LWM2M_OP_R
#define W_ LWM2M_OP_W
#define E_ LWM2M_OP_E

static const struct lwm2m_res_def res_10252[] = {
    {1, LWM2M_TYPE_OPAQUE, W_ | E_, false, true, "Manifest", NULL, NULL},
    {2, LWM2M_TYPE_INT, R_, false, true, "State", "0..8", NULL},
    {3, LWM2M_TYPE_INT, R_, false, true, "Manifest Result", NULL, NULL},
    {4, LWM2M_TYPE_STRING, R_, false, false, "Customer Update Result", NULL, NULL},
    {5, LWM2M_TYPE_STRING, R_, false, false, "Asset Hash", NULL, NULL},
    {6, LWM2M_TYPE_STRING, R_, false, false, "Manifest version", NULL, NULL},
    {7, LWM2M_TYPE_INT, R_, false, false, "Asset Installation Progress", NULL, NULL},
    {8, LWM2M_TYPE_STRING, R_ | W_, false, false, "Campaign Id", NULL, NULL},
    {9, LWM2M_TYPE_NONE, E_, false, false, "Manual Trigger", NULL, NULL},
};

static const struct lwm2m_res_def res_10255[] = {
    {0, LWM2M_TYPE_INT, R_, false, true, "Protocol supported", NULL, NULL},
    {1, LWM2M_TYPE_OPAQUE, R_, false, false, "Bootloader hash", NULL, NULL},
    {2, LWM2M_TYPE_OPAQUE, R_, false, false, "OEM bootloader hash", NULL, NULL},
    {3, LWM2M_TYPE_OPAQUE, R_, false, true, "Vendor", NULL, NULL},
    {4, LWM2M_TYPE_OPAQUE, R_, false, true, "Class", NULL, NULL},
    {5, LWM2M_TYPE_STRING, R_, false, false, "Device", NULL, NULL},
};

static const struct lwm2m_res_def res_35011[] = {
    {27002, LWM2M_TYPE_NONE, E_, false, true, "Enroll", NULL, NULL},
};

static const struct lwm2m_res_def res_35012[] = {
    {27004, LWM2M_TYPE_OPAQUE, E_, false, true, "Sentry Configuration", NULL, NULL},
    {27005, LWM2M_TYPE_OPAQUE, R_, false, true, "Sentry Metrics", NULL, NULL},
};

const struct lwm2m_obj_def lwm2m_pelion_objects[] = {
    {10252, {1, 0}, false, false, "Manifest", res_10252, DR_ARRAY_LEN(res_10252)},
    {10255, {1, 0}, false, false, "Device Metadata", res_10255, DR_ARRAY_LEN(res_10255)},
    {35011, {1, 0}, false, false, "Certificate Renewal", res_35011, DR_ARRAY_LEN(res_35011)},
    {35012, {1, 0}, false, false, "Device Sentry", res_35012, DR_ARRAY_LEN(res_35012)},
};
const size_t lwm2m_pelion_objects_count = DR_ARRAY_LEN(lwm2m_pelion_objects);
