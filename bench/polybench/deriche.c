/* deriche: Deriche's recursive smoothing of an image, there and back along rows and then along columns. */
#include "poly.h"

enum { W = 1000, H = 900 };

static double image[W][H], result[W][H], forth[W][H], back[W][H];

static void fill(void)
{
    for (int i = 0; i < W; i++)
        for (int j = 0; j < H; j++)
            image[i][j] = (double)((313 * i + 991 * j) % 65536) / 65535;
}

KERNEL kernel(void)
{
    const double alpha = 0.25, e = exp(-alpha), e2 = exp(-2 * alpha);
    const double k = (1 - e) * (1 - e) / (1 + 2 * alpha * e - e2);
    const double a1 = k, a2 = k * e * (alpha - 1), a3 = k * e * (alpha + 1), a4 = -k * e2;
    const double b1 = 2 * e, b2 = -e2;

    for (int i = 0; i < W; i++) {
        double before = 0, last = 0, second = 0;
        for (int j = 0; j < H; j++) {
            forth[i][j] = a1 * image[i][j] + a2 * before + b1 * last + b2 * second;
            before = image[i][j];
            second = last;
            last = forth[i][j];
        }
    }
    for (int i = 0; i < W; i++) {
        double after = 0, second_after = 0, last = 0, second = 0;
        for (int j = H - 1; j >= 0; j--) {
            back[i][j] = a3 * after + a4 * second_after + b1 * last + b2 * second;
            second_after = after;
            after = image[i][j];
            second = last;
            last = back[i][j];
        }
    }
    for (int i = 0; i < W; i++)
        for (int j = 0; j < H; j++)
            result[i][j] = forth[i][j] + back[i][j];

    for (int j = 0; j < H; j++) {
        forth[0][j] = a1 * result[0][j];
        forth[1][j] = a1 * result[1][j] + a2 * result[0][j] + b1 * forth[0][j];
        back[W - 1][j] = 0;
        back[W - 2][j] = a3 * result[W - 1][j];
    }
    for (int i = 2; i < W; i++)
        for (int j = 0; j < H; j++)
            forth[i][j] = a1 * result[i][j] + a2 * result[i - 1][j] +
                          b1 * forth[i - 1][j] + b2 * forth[i - 2][j];
    for (int i = W - 3; i >= 0; i--)
        for (int j = 0; j < H; j++)
            back[i][j] = a3 * result[i + 1][j] + a4 * result[i + 2][j] +
                         b1 * back[i + 1][j] + b2 * back[i + 2][j];
    for (int i = 0; i < W; i++)
        for (int j = 0; j < H; j++)
            result[i][j] = forth[i][j] + back[i][j];
}

static double check(void)
{
    return weighted(result[0], W * H);
}

int main(int argc, char** argv)
{
    return measure(argc, argv, 3, fill, kernel, check);
}
