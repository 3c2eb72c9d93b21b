// Small fully connected networks, layer by layer over a few rows at a time, so that nothing but inputs, results and
// weights passes through memory. Rows lie in the lanes: a block of them is held as [feature][row of the block].
#include <algorithm>
#include <vector>

#include "cpu/kernels.h"
#include "cpu/simd.h"

namespace gsrecon {
inline namespace GSRECON_ISA {

namespace {

constexpr int kRows = 2 * kLanes;                // of a block
constexpr int kTileOut = kLanes == 16 ? 12 : 6;  // results computed at once: 2 kTileOut sums stay in registers
constexpr int kTileV = kLanes == 16 ? 4 : 2;     // a tile of the weights' gradient: kTileV x kTileIn sums
constexpr int kTileIn = 6;
constexpr int kPad = 12;         // a multiple of both; padding has weight zero
constexpr int kChunkBlocks = 8;  // a task: enough rows that a sum over them is worth its end
constexpr int kGroups = 16;      // tasks share this many sums, whatever the number of threads

int64_t padded(int64_t width) { return (width + kPad - 1) / kPad * kPad; }

struct Layer {
    int in, out;
    int64_t in_padded, out_padded;
    int64_t at;                    // its weights in the parameters; its biases follow them
    const float* by_input;         // [in_padded][out_padded]
    const float* by_output;        // [out_padded][in_padded]
    const float* bias;             // [out_padded]
    int64_t gradient_at, bias_at;  // in a group's sums: tiles of [kTileV][kTileIn], then the biases
};

// The network with its weights padded, in both orders.
struct Network {
    std::vector<Layer> layers;
    std::vector<float> storage;
    int64_t gradient_floats = 0, widest = 0;

    explicit Network(const PerceptronInputs& in) {
        int64_t floats = 0, at = 0;
        for (int k = 0; k < in.layers; k++) {
            Layer layer = {};
            layer.in = in.widths[k], layer.out = in.widths[k + 1];
            layer.in_padded = padded(layer.in), layer.out_padded = padded(layer.out);
            layer.at = at;
            layer.gradient_at = gradient_floats;
            layer.bias_at = gradient_floats + layer.in_padded * layer.out_padded;
            gradient_floats = layer.bias_at + layer.out_padded;
            at += (int64_t)layer.out * layer.in + layer.out;
            floats += 2 * layer.in_padded * layer.out_padded + layer.out_padded;
            widest = std::max({widest, layer.in_padded, layer.out_padded});
            layers.push_back(layer);
        }
        storage.assign((size_t)floats, 0.0f);
        float* free = storage.data();
        for (Layer& layer : layers) {
            float* by_input = free;
            float* by_output = by_input + layer.in_padded * layer.out_padded;
            float* bias = by_output + layer.in_padded * layer.out_padded;
            free = bias + layer.out_padded;
            const float* weights = in.parameters + layer.at;
            for (int o = 0; o < layer.out; o++) {
                for (int i = 0; i < layer.in; i++) {
                    by_input[i * layer.out_padded + o] = by_output[o * layer.in_padded + i] = weights[o * layer.in + i];
                }
                bias[o] = weights[(int64_t)layer.out * layer.in + o];
            }
            layer.by_input = by_input, layer.by_output = by_output, layer.bias = bias;
        }
    }
};

// y[o] = start[o] + sum over i of weights[i][o] x[i] for kTileOut results and the rows of a block; start may be null.
GSRECON_INLINE void multiply_tile(int64_t count, const float* weights, int64_t stride, const float* x,
                                  const float* start, float* y) {
    vfloat sum[kTileOut][2];
    for (int o = 0; o < kTileOut; o++) sum[o][0] = sum[o][1] = start ? broadcast(start[o]) : vfloat{};
    for (int64_t i = 0; i < count; i++) {
        const vfloat first = load(x + i * kRows), second = load(x + i * kRows + kLanes);
        for (int o = 0; o < kTileOut; o++) {
            const vfloat w = broadcast(weights[i * stride + o]);
            sum[o][0] = fma(w, first, sum[o][0]), sum[o][1] = fma(w, second, sum[o][1]);
        }
    }
    for (int o = 0; o < kTileOut; o++) store(y + o * kRows, sum[o][0]), store(y + o * kRows + kLanes, sum[o][1]);
}

void multiply(int64_t in, int64_t out_padded, const float* weights, const float* x, const float* start, float* y) {
    for (int64_t o = 0; o < out_padded; o += kTileOut)
        multiply_tile(in, weights + o, out_padded, x, start ? start + o : nullptr, y + o * kRows);
}

// Rows `first` to `first + kRows` of [rows, width] as [width_padded][kRows], zero where there are none.
void take_block(const float* rows_by_width, int64_t rows, int64_t first, int width, float* block) {
    std::fill(block, block + padded(width) * kRows, 0.0f);
    const int here = (int)std::min<int64_t>(kRows, rows - first);
    for (int r = 0; r < here; r++)
        for (int i = 0; i < width; i++) block[i * kRows + r] = rows_by_width[(first + r) * width + i];
}

void give_block(const float* block, int64_t rows, int64_t first, int width, float* rows_by_width) {
    const int here = (int)std::min<int64_t>(kRows, rows - first);
    for (int r = 0; r < here; r++)
        for (int i = 0; i < width; i++) rows_by_width[(first + r) * width + i] = block[i * kRows + r];
}

void apply_layer(const Layer& layer, bool last, const float* x, float* y) {
    multiply(layer.in, layer.out_padded, layer.by_input, x, layer.bias, y);
    if (last) return;
    for (int64_t i = 0; i < layer.out_padded * kRows; i += kLanes) store(y + i, larger(load(y + i), vfloat{}));
}

// Adds the products of the features of two arrays, summed over the rows of some blocks, to a tile of sums.
GSRECON_INLINE void add_products(int blocks, const float* v_y, int64_t y_stride, const float* x, int64_t x_stride,
                                 float* tile) {
    vfloat sum[kTileV * kTileIn] = {};
    for (int b = 0; b < blocks; b++, v_y += y_stride, x += x_stride)
        for (int half = 0; half < kRows; half += kLanes) {
            vfloat gradient[kTileV];
            for (int o = 0; o < kTileV; o++) gradient[o] = load(v_y + o * kRows + half);
            for (int i = 0; i < kTileIn; i++) {
                const vfloat value = load(x + i * kRows + half);
                for (int o = 0; o < kTileV; o++) sum[o * kTileIn + i] = fma(gradient[o], value, sum[o * kTileIn + i]);
            }
        }
    for (int i = 0; i < kTileV * kTileIn; i += 12) add_lane_sums<12>(sum + i, tile + i);
}

// What a task needs: per layer the inputs of all blocks, and the gradients of its results.
struct Scratch {
    std::vector<float> values, gradients;
    std::vector<float*> x, v_y;  // [kChunkBlocks][width_padded][kRows] of each layer

    explicit Scratch(const Network& network) {
        int64_t in = 0, out = 0;
        for (const Layer& layer : network.layers) in += layer.in_padded, out += layer.out_padded;
        values.resize((size_t)(in * kChunkBlocks * kRows));
        gradients.resize((size_t)(out * kChunkBlocks * kRows));
        float *next_x = values.data(), *next_v = gradients.data();
        for (const Layer& layer : network.layers) {
            x.push_back(next_x), v_y.push_back(next_v);
            next_x += layer.in_padded * kChunkBlocks * kRows, next_v += layer.out_padded * kChunkBlocks * kRows;
        }
    }
};

// Forward again, then back, for the block at `first`, which is number b of its chunk.
void back_through_block(const PerceptronInputs& in, const Network& network, const Scratch& scratch, int b,
                        int64_t first, const float* v_outputs, float* v_inputs, float* v_block) {
    const std::vector<Layer>& layers = network.layers;
    const size_t count = layers.size();
    const auto x = [&](size_t k) { return scratch.x[k] + b * layers[k].in_padded * kRows; };
    const auto v_y = [&](size_t k) { return scratch.v_y[k] + b * layers[k].out_padded * kRows; };
    take_block(in.inputs, in.rows, first, layers[0].in, x(0));
    for (size_t k = 0; k + 1 < count; k++) apply_layer(layers[k], false, x(k), x(k + 1));
    take_block(v_outputs, in.rows, first, layers[count - 1].out, v_y(count - 1));
    for (size_t k = count - 1; k > 0; k--) {
        multiply(layers[k].out, layers[k].in_padded, layers[k].by_output, v_y(k), nullptr, v_y(k - 1));
        const float* value = x(k);
        float* gradient = v_y(k - 1);
        for (int64_t i = 0; i < layers[k].in_padded * kRows; i += kLanes)
            store(gradient + i, select((vint)(load(value + i) > 0.0f), load(gradient + i), vfloat{}));
    }
    if (!v_inputs) return;
    multiply(layers[0].out, layers[0].in_padded, layers[0].by_output, v_y(0), nullptr, v_block);
    give_block(v_block, in.rows, first, layers[0].in, v_inputs);
}

void add_weight_gradients(const Network& network, const Scratch& scratch, int blocks, float* sums) {
    for (size_t k = 0; k < network.layers.size(); k++) {
        const Layer& layer = network.layers[k];
        float* tile = sums + layer.gradient_at;
        const int64_t x_stride = layer.in_padded * kRows, y_stride = layer.out_padded * kRows;
        // The inputs of a tile stay in the first cache while all gradients go by.
        for (int64_t i = 0; i < layer.in_padded; i += kTileIn)
            for (int64_t o = 0; o < layer.out_padded; o += kTileV, tile += kTileV * kTileIn)
                add_products(blocks, scratch.v_y[k] + o * kRows, y_stride, scratch.x[k] + i * kRows, x_stride, tile);
        for (int64_t o = 0; o < layer.out_padded; o++) {
            vfloat sum = {};
            for (int b = 0; b < blocks; b++) {
                const float* v_y = scratch.v_y[k] + b * y_stride + o * kRows;
                sum += load(v_y) + load(v_y + kLanes);
            }
            float lanes[12] = {};
            add_lane_sums<1>(&sum, lanes);
            sums[layer.bias_at + o] += lanes[0];
        }
    }
}

// The groups' sums, one after the other, in the order of the parameters.
void collect(const Network& network, const std::vector<float>& sums, int64_t groups, float* v_parameters) {
    for (const Layer& layer : network.layers) {
        float* v_weights = v_parameters + layer.at;
        for (int o = 0; o < layer.out; o++) {
            for (int i = 0; i <= layer.in; i++) {
                const int64_t tile = (i / kTileIn) * (layer.out_padded / kTileV) + o / kTileV;
                const int64_t in_tile = kTileIn * (o % kTileV) + i % kTileIn;
                const int64_t at =
                    i == layer.in ? layer.bias_at + o : layer.gradient_at + kTileV * kTileIn * tile + in_tile;
                float total = 0.0f;
                for (int64_t g = 0; g < groups; g++) total += sums[(size_t)(g * network.gradient_floats + at)];
                v_weights[i == layer.in ? (int64_t)layer.out * layer.in + o : (int64_t)o * layer.in + i] = total;
            }
        }
    }
}

}  // namespace

void perceptron(const PerceptronInputs& in, float* outputs) {
    const Network network(in);
    const int64_t blocks = (in.rows + kRows - 1) / kRows;
#pragma omp parallel
    {
        std::vector<float> storage((size_t)(2 * network.widest * kRows));
#pragma omp for schedule(static)
        for (int64_t block = 0; block < blocks; block++) {
            float *x = storage.data(), *y = x + network.widest * kRows;
            take_block(in.inputs, in.rows, block * kRows, network.layers[0].in, x);
            for (const Layer& layer : network.layers) {
                apply_layer(layer, &layer == &network.layers.back(), x, y);
                std::swap(x, y);
            }
            give_block(x, in.rows, block * kRows, network.layers.back().out, outputs);
        }
    }
}

void perceptron_vjp(const PerceptronInputs& in, const float* v_outputs, float* v_parameters, float* v_inputs) {
    const Network network(in);
    const int64_t blocks = (in.rows + kRows - 1) / kRows, chunks = (blocks + kChunkBlocks - 1) / kChunkBlocks;
    const int64_t groups = std::min<int64_t>(kGroups, chunks);
    std::vector<float> sums((size_t)(groups * network.gradient_floats), 0.0f);
#pragma omp parallel
    {
        const Scratch scratch(network);
        std::vector<float> v_block((size_t)(network.widest * kRows));
#pragma omp for schedule(dynamic, 1)
        for (int64_t group = 0; group < groups; group++)
            for (int64_t chunk = group; chunk < chunks; chunk += groups) {
                const int64_t begin = chunk * kChunkBlocks;
                const int here = (int)std::min<int64_t>(kChunkBlocks, blocks - begin);
                for (int b = 0; b < here; b++)
                    back_through_block(in, network, scratch, b, (begin + b) * kRows, v_outputs, v_inputs,
                                       v_block.data());
                add_weight_gradients(network, scratch, here, sums.data() + group * network.gradient_floats);
            }
    }
    collect(network, sums, groups, v_parameters);
}

}  // namespace GSRECON_ISA
}  // namespace gsrecon
