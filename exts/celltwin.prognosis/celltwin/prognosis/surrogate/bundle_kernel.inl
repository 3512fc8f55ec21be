// Steps of one bundle of LANES cells, one a lane: the body of the Warp function of bundle_kernel.py, in C++ of clang.
//
// It is surrogate_module.py for numbers without gradients; read that first. Names in capitals come from
// surrogate_numbers.py. In Warp's own language, where a vector is a loop over its lanes, the same steps took half as long
// again, and longer to compile.

typedef float Lanes __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef int Bits __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef double Exact __attribute__((vector_size(8 * LANES), aligned(8), may_alias));
typedef unsigned char Flags __attribute__((vector_size(LANES), aligned(1), may_alias));

struct Maths {
    static inline Lanes all(float x) { return (Lanes) {} + x; }
    static inline Lanes greater(Lanes a, Lanes b) { return a > b ? a : b; }
    static inline Lanes smaller(Lanes a, Lanes b) { return a < b ? a : b; }
    static inline Lanes root(Lanes x) { return __builtin_elementwise_sqrt(x); }

    // 2^n 2^f with n whole and f in [-1/2, 1/2]; the polynomial's relative error is 9e-8, and 0 at 0.
    static inline Lanes exp(Lanes x)
    {
        constexpr float log2_e = 1.44269504f, round = 12582912.0f; // 1.5 * 2^23: its last bits count ones
        x = smaller(greater(x, all(-87.0f)), all(88.0f));
        Lanes whole = x * log2_e + round;
        Lanes f = x * log2_e - (whole - round);
        Lanes y = f * 0.00132647272f + 0.00967151264f;
        y = y * f + 0.0555073374f;
        y = y * f + 0.240222421f;
        y = y * f + 0.693146978f;
        y = y * f + 1.0f;
        return (Lanes)((Bits)y + ((Bits)whole << 23));
    }

    // log(m) + e log(2) with m in [sqrt(1/2), sqrt(2)]; polynomial of S. L. Moshier's Cephes library (logf).
    static inline Lanes log(Lanes x)
    {
        Bits bits = (Bits)x;
        Lanes m = (Lanes)((bits & 0x7FFFFF) | 0x3F800000);
        Bits large = m > 1.41421356f;
        Lanes e = __builtin_convertvector((bits >> 23) - 127 - large, Lanes);
        Lanes r = (large ? m * 0.5f : m) - 1.0f;
        Lanes y = r * 7.0376836292e-2f - 1.1514610310e-1f;
        y = y * r + 1.1676998740e-1f;
        y = y * r - 1.2420140846e-1f;
        y = y * r + 1.4249322787e-1f;
        y = y * r - 1.6668057665e-1f;
        y = y * r + 2.0000714765e-1f;
        y = y * r - 2.4999993993e-1f;
        y = y * r + 3.3333331174e-1f;
        Lanes square = r * r;
        return r + (y * r * square - e * 2.12194440e-4f - square * 0.5f) + e * 0.693359375f;
    }

    static inline Lanes asinh(Lanes x)
    {
        Lanes y = log(greater(x, -x) + root(x * x + 1.0f));
        return x < 0.0f ? -y : y;
    }

    // A surface that is the mean and its departure, but for departures that would leave nothing.
    static inline Lanes above_zero(Lanes mean, Lanes departure)
    {
        Lanes scale = greater(mean, all(LEAST)) * FLOOR;
        Lanes value = mean + departure;
        return 0.5f * (value + root(value * value + 4.0f * scale * scale));
    }

    // `columns` values at `at` in [0, 1] of a table whose rows are values and their rises to the next row.
    static inline void look_up(const float* table, int columns, Lanes at, Lanes* found)
    {
        Lanes place = smaller(greater(at * (float)PIECES, all(0.0f)), all(PIECES));
        Bits row = __builtin_convertvector(place, Bits);
        row = row < PIECES - 1 ? row : (Bits) {} + (PIECES - 1);
        Lanes beyond = place - __builtin_convertvector(row, Lanes);
        for (int column = 0; column < columns; ++column) {
            Lanes value, rise;
            for (int lane = 0; lane < LANES; ++lane) {
                const float* own = table + 2 * columns * row[lane] + column;
                value[lane] = own[0];
                rise[lane] = own[columns];
            }
            found[column] = value + rise * beyond;
        }
    }

    // Four outputs of a layer: rows of four biases, then of four weights of each input.
    static inline void four_outputs(const float* weights, const Lanes* in, int inputs, Lanes* out)
    {
        for (int k = 0; k < 4; ++k)
            out[k] = all(weights[k]);
#pragma clang loop unroll(full)
        for (int i = 0; i < inputs; ++i)
            for (int k = 0; k < 4; ++k)
                out[k] += in[i] * weights[4 * (i + 1) + k];
    }

    static inline const float* hidden_layer(const float* weights, const Lanes* in, int inputs, Lanes* out)
    {
        for (int j = 0; j < WIDTH; j += 4, weights += 4 * (inputs + 1)) {
            four_outputs(weights, in, inputs, out + j);
            for (int k = j; k < j + 4; ++k)
                out[k] = out[k] / (1.0f + exp(-out[k]));
        }
        return weights;
    }
};

const size_t cells = course.current.shape[1];
const size_t at = (size_t)bundle * LANES;
#define ROW(array, row) (*(Lanes*)((array).data + (row) * cells + at))
#define EXACT(array, row) (*(Exact*)((array).data + (row) * cells + at))

const Lanes inverse_area = ROW(course.inputs, 0), inverse_capacity = ROW(course.inputs, 1), resistance = ROW(course.inputs, 2);
const Lanes guessed_resistance = ROW(course.inputs, 3), diffusivity = ROW(course.inputs, 4);
const Lanes decay = ROW(course.inputs, 5), gain = ROW(course.inputs, 6), ambient = ROW(course.inputs, 7);
const Exact charge_step = EXACT(course.charge_steps, 0);

Lanes modes[MODES];
for (int i = 0; i < MODES; ++i)
    modes[i] = ROW(course.state, i);
Lanes excess = ROW(course.state, MODES), guessed_excess = excess; // over the surroundings [K]
Bits lost = (Bits)ROW(course.state, MODES + 1); // all ones where trust is lost
Exact charge = EXACT(course.charges, 0);

for (int step = first; step < first + count; ++step) {
    const Lanes mean = __builtin_convertvector(EXACT(course.current, step), Lanes);
    const Lanes amperes = __builtin_convertvector(EXACT(course.current_end, step), Lanes);
    charge -= __builtin_convertvector(mean, Exact) * charge_step;

    if (step % BLOCK == 0)
        guessed_excess = excess;
    guessed_excess = guessed_excess * decay + mean * mean * guessed_resistance * gain;
    const Lanes temperature = ambient + guessed_excess;
    const Lanes apart = temperature - laws.reference_temperature;
    const Lanes warm = apart * laws.warmth / temperature;

    const Lanes soc = __builtin_convertvector(charge, Lanes);
    const Lanes mean_negative = laws.negative_empty + soc * laws.negative_span;
    const Lanes mean_positive = laws.positive_empty + soc * laws.positive_span;
    const Lanes mean_rate = mean * inverse_capacity;
    Lanes speed_negative, speed_positive;
    Maths::look_up(laws.negative_diffusion.data, 1, mean_negative, &speed_negative);
    Maths::look_up(laws.positive_diffusion.data, 1, mean_positive, &speed_positive);
    speed_negative *= diffusivity * Maths::exp(laws.negative_diffusion_energy * warm);
    speed_positive *= diffusivity * Maths::exp(laws.positive_diffusion_energy * warm);
    const Lanes speed_electrolyte = Maths::exp(laws.electrolyte_energy * warm);
    const Lanes push_negative = mean_rate / speed_negative, push_positive = mean_rate / speed_positive;
    for (int i = 0; i < MODES; ++i) {
        const bool negative = i < NEGATIVE_POLES, electrolyte = i == MODES - 1;
        const Lanes speed = electrolyte ? speed_electrolyte : negative ? speed_negative : speed_positive;
        const Lanes push = electrolyte ? mean_rate : negative ? push_negative : push_positive;
        const Lanes aim = push * laws.shares.data[i] + TINY;
        const Lanes exponent = Maths::greater(speed * (-period * laws.rates.data[i]), Maths::all(FASTEST));
        modes[i] = aim + (modes[i] - aim) * Maths::exp(exponent);
    }

    Lanes seen[MODES + 3] = { soc, temperature, amperes * inverse_capacity };
    Lanes left_negative = Maths::all(0.0f), left_positive = Maths::all(0.0f);
    for (int i = 0; i < MODES; ++i) {
        seen[3 + i] = modes[i];
        if (i < NEGATIVE_POLES)
            left_negative += modes[i];
        else if (i < MODES - 1)
            left_positive += modes[i];
    }
    for (int i = 0; i < MODES + 3; ++i)
        lost |= ~((seen[i] >= laws.low.data[i]) & (seen[i] <= laws.high.data[i]));

    seen[1] = apart;
    Lanes hidden[2][WIDTH];
    const float* weights = Maths::hidden_layer(laws.weights.data, seen, MODES + 3, hidden[0]);
    for (int layer = 1; layer < LAYERS; ++layer)
        weights = Maths::hidden_layer(weights, hidden[(layer + 1) % 2], WIDTH, hidden[layer % 2]);
    Lanes correction[4]; // of the negative and of the positive surface, the voltage, the anode potential
    for (int quantity = 0; quantity < 4; ++quantity, weights += 4 * (WIDTH + 1)) {
        Lanes shaped[4];
        Maths::four_outputs(weights, hidden[(LAYERS + 1) % 2], WIDTH, shaped);
        correction[quantity] = shaped[0] * seen[2] + shaped[1] * left_negative + shaped[2] * left_positive
            + shaped[3] * modes[MODES - 1];
    }

    const Lanes negative = Maths::above_zero(mean_negative, left_negative + correction[0]);
    const Lanes positive = 1.0f - Maths::above_zero(1.0f - mean_positive, -left_positive - correction[1]);
    Lanes low[3], high[3]; // potential, entropic change and logarithm of the exchange current
    Maths::look_up(laws.negative_potential.data, 3, negative, low);
    Maths::look_up(laws.positive_potential.data, 3, positive, high);
    const Lanes thermal = laws.thermal_voltage * temperature, half = 0.5f * amperes * inverse_area;
    const Lanes resting_low = low[0] + apart * low[1], resting_high = high[0] + apart * high[1];
    const Lanes drive_low
        = thermal * Maths::asinh(half * Maths::exp(-low[2] - laws.negative_exchange_energy * warm));
    const Lanes drive_high
        = thermal * Maths::asinh(half * Maths::exp(-high[2] - laws.positive_exchange_energy * warm));
    const Lanes resting = resting_high - resting_low;
    const Lanes voltage = resting - drive_low - drive_high - resistance * amperes + correction[2];
    const Lanes heat = amperes * (resting - voltage - temperature * (high[1] - low[1]));
    excess = excess * decay + heat * gain;

    const Bits hidden_here = hide ? lost : (Bits) {};
#define SHOW(quantity, value) ROW(course.quantity, step) = hidden_here ? Maths::all(__builtin_nanf("")) : (value)
    SHOW(voltage, voltage);
    SHOW(temperature, ambient + excess);
    SHOW(negative_surface, negative);
    SHOW(positive_surface, positive);
    SHOW(anode_potential, resting_low + drive_low + correction[3]);
    SHOW(heat, heat);
#undef SHOW
    EXACT(course.soc, step) = charge;
    *(Flags*)(course.trusted.data + step * cells + at) = __builtin_convertvector(lost + 1, Flags);
}

for (int i = 0; i < MODES; ++i)
    ROW(course.state, i) = modes[i];
ROW(course.state, MODES) = excess;
ROW(course.state, MODES + 1) = (Lanes)lost;
EXACT(course.charges, 0) = charge;
#undef ROW
#undef EXACT
