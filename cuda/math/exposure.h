// Exposure of a picture: color' = color exp(log gain) + bias, per channel. gsrecon/ops/exposure.py is the
// specification.
#pragma once

#include "between.h"

namespace gsrecon {
inline namespace GSRECON_ISA {

constexpr int kExposureValues = 6;  // log gain, then bias, RGB each

GSRECON_HD float exposure_value(const ExposureInputs& in, int which) {
    const double own = between(in.camera_values, kExposureValues, in.camera, which);
    return (float)(in.alone ? own : own + between(in.picture_values, kExposureValues, in.picture, which));
}

GSRECON_HD float exposure_gain(const ExposureInputs& in, int channel) { return expf(exposure_value(in, channel)); }
GSRECON_HD float exposure_bias(const ExposureInputs& in, int channel) { return exposure_value(in, 3 + channel); }

// Gradients of element i of the tables from that of the value in its column.
GSRECON_HD float camera_value_vjp(const ExposureInputs& in, int64_t i, double v) {
    return between_vjp(in.camera, i / kExposureValues, v);
}
GSRECON_HD float picture_value_vjp(const ExposureInputs& in, int64_t i, double v) {
    return in.alone ? 0.0f : between_vjp(in.picture, i / kExposureValues, v);
}

}  // namespace GSRECON_ISA
}  // namespace gsrecon
