/* Floating point: five bodies attract each other for a million steps. */
#include "workloads.h"

#define BODIES 5
#define STEPS  1000000
#define DT     0.01

struct body {
    double x, y, z, vx, vy, vz, mass;
};

/* Sun, Jupiter, Saturn, Uranus, Neptune: astronomical units, years, 4 pi^2 solar masses. */
static const struct body start[BODIES] = {
    {0, 0, 0, 0, 0, 0, 39.47841760435743},
    {4.84143144246472090, -1.16032004402742839, -0.103622044471123109, 0.606326392995832,
     2.81198684491626, -0.02521836165988763, 0.03769367487038949},
    {8.34336671824457987, 4.12479856412430479, -0.403523417114321381, -1.01077434617879,
     1.82566237123041, 0.00841576137658415, 0.011286326131968767},
    {12.8943695621391310, -15.1111514016986312, -0.223307578892655734, 1.08279100644153,
     0.868713018169608, -0.01083260737403634, 0.0017237240570597112},
    {15.3796971148509165, -25.9193146099879641, 0.179258772950371181, 0.979090732243898,
     0.594698998647676, -0.034755955550407, 0.0020336868699246304},
};

static double square_root(double value)
{
    double root;

    __asm__("sqrtsd %1, %0" : "=x"(root) : "x"(value));
    return root;
}

static void attract(struct body *a, struct body *b)
{
    double dx = a->x - b->x, dy = a->y - b->y, dz = a->z - b->z;
    double square = dx * dx + dy * dy + dz * dz;
    double magnitude = DT / (square * square_root(square));

    a->vx -= dx * b->mass * magnitude;
    a->vy -= dy * b->mass * magnitude;
    a->vz -= dz * b->mass * magnitude;
    b->vx += dx * a->mass * magnitude;
    b->vy += dy * a->mass * magnitude;
    b->vz += dz * a->mass * magnitude;
}

uint64_t nbody(void)
{
    static struct body bodies[BODIES];
    union {
        double number;
        uint64_t bits;
    } result;

    for (int i = 0; i < BODIES; i++)
        bodies[i] = start[i];
    for (int step = 0; step < STEPS; step++) {
        for (int i = 0; i < BODIES; i++) {
            for (int j = i + 1; j < BODIES; j++)
                attract(&bodies[i], &bodies[j]);
        }
        for (int i = 0; i < BODIES; i++) {
            bodies[i].x += DT * bodies[i].vx;
            bodies[i].y += DT * bodies[i].vy;
            bodies[i].z += DT * bodies[i].vz;
        }
    }
    result.number = bodies[0].x;
    return result.bits;
}
