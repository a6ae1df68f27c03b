//! Least squares without negative values, in a few unknowns.

/// Unknowns of the model.
pub(super) const UNKNOWNS: usize = 5;

/// The x ≥ 0 with the least |rows · x − right|². The answer is the ordinary one of some subset of the unknowns,
/// so with five of them all 32 are tried.
pub(super) fn least_squares(rows: &[[f64; UNKNOWNS]], right: &[f64]) -> [f64; UNKNOWNS] {
    let mut best = ([0.0; UNKNOWNS], right.iter().map(|value| value * value).sum::<f64>());
    for subset in 1_u32..1 << UNKNOWNS {
        let used: Vec<usize> = (0..UNKNOWNS).filter(|unknown| subset >> unknown & 1 == 1).collect();
        let Some(x) = solve(rows, right, &used) else { continue };
        let residual: f64 = rows.iter().zip(right).map(|(row, y)| (dot(row, &x) - y).powi(2)).sum();
        // Of equals the one with fewer unknowns stays.
        if x.iter().all(|value| *value >= 0.0) && residual < best.1 * (1.0 - 1e-9) {
            best = (x, residual);
        }
    }
    best.0
}

fn dot(row: &[f64; UNKNOWNS], x: &[f64; UNKNOWNS]) -> f64 {
    row.iter().zip(x).map(|(a, b)| a * b).sum()
}

/// Ordinary least squares in some of the unknowns, by their normal equations; `None` where these say nothing.
fn solve(rows: &[[f64; UNKNOWNS]], right: &[f64], used: &[usize]) -> Option<[f64; UNKNOWNS]> {
    let length = |unknown: &usize| rows.iter().map(|row| row[*unknown].powi(2)).sum::<f64>().sqrt();
    let scale: Vec<f64> = used.iter().map(length).collect();
    if scale.iter().any(|length| *length < 1e-300) {
        return None;
    }
    let column = |row: &[f64; UNKNOWNS], i: usize| row[used[i]] / scale[i];
    let sum = |i: usize, of: &dyn Fn(usize) -> f64| -> f64 {
        rows.iter().enumerate().map(|(k, row)| column(row, i) * of(k)).sum()
    };
    let line = |i: usize| -> Vec<f64> {
        let products = (0..used.len()).map(|j| sum(i, &|k| column(&rows[k], j)));
        products.chain([sum(i, &|k| right[k])]).collect()
    };
    let table = (0..used.len()).map(line).collect();
    let scaled = eliminate(table)?;
    let mut x = [0.0; UNKNOWNS];
    used.iter().enumerate().for_each(|(i, &unknown)| x[unknown] = scaled[i] / scale[i]);
    Some(x)
}

/// How far off a prediction with these terms may well be, given what the equations leave open.
pub(super) fn standard_error(rows: &[[f64; UNKNOWNS]], terms: [f64; UNKNOWNS]) -> f64 {
    let square = |i: usize| rows.iter().map(|row| row[i].powi(2)).sum::<f64>().sqrt();
    let scale: [f64; UNKNOWNS] = std::array::from_fn(square);
    if scale.contains(&0.0) {
        return 0.0;
    }
    let terms: [f64; UNKNOWNS] = std::array::from_fn(|i| terms[i] / scale[i]);
    let product = |i: usize, j: usize| -> f64 {
        rows.iter().map(|row| row[i] / scale[i] * row[j] / scale[j]).sum()
    };
    let line = |i: usize| (0..UNKNOWNS).map(|j| product(i, j)).chain([terms[i]]).collect();
    let solved = eliminate((0..UNKNOWNS).map(line).collect());
    solved.map_or(0.0, |x| terms.iter().zip(x).map(|(a, b)| a * b).sum::<f64>().max(0.0).sqrt())
}

/// Solves symmetric equations, each with its right side at the end; `None` where these say nothing.
fn eliminate(mut table: Vec<Vec<f64>>) -> Option<Vec<f64>> {
    let size = table.len();
    for i in 0..size {
        let pivot = table[i].clone();
        // Columns have length 1: a pivot like this is rounding.
        if pivot[i] < 1e-10 {
            return None;
        }
        let others = table.iter_mut().enumerate().filter(|(k, _)| *k != i);
        for (_, line) in others {
            let factor = line[i] / pivot[i];
            line.iter_mut().zip(&pivot).for_each(|(cell, value)| *cell -= factor * value);
        }
    }
    Some(table.iter().enumerate().map(|(i, line)| line[size] / line[i]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn least_squares_is_exact_and_never_negative() {
        let rows =
            [[1.0, 0.0, 0.0, 0.0, 0.0], [1.0, 1.0, 0.0, 0.0, 0.0], [1.0, 2.0, 0.0, 0.0, 0.0]];
        let exact = least_squares(&rows, &[1.0, 3.0, 5.0]);
        assert!((exact[0] - 1.0).abs() < 1e-9 && (exact[1] - 2.0).abs() < 1e-9, "{exact:?}");
        // A falling line has a negative slope: what is left is the mean.
        let fallen = least_squares(&rows, &[5.0, 4.0, 3.0]);
        assert!((fallen[0] - 4.0).abs() < 1e-9 && fallen[1] == 0.0, "{fallen:?}");
        // Twice the same column: one of them is enough.
        let twice = [[1.0, 1.0, 0.0, 0.0, 0.0], [2.0, 2.0, 0.0, 0.0, 0.0]];
        assert!((least_squares(&twice, &[3.0, 6.0]).iter().sum::<f64>() - 3.0).abs() < 1e-9);
        assert_eq!(least_squares(&rows, &[0.0; 3]), [0.0; UNKNOWNS]);
    }

    #[test]
    fn an_error_grows_with_what_is_not_known() {
        let mut rows: Vec<_> =
            (0..UNKNOWNS).map(|i| std::array::from_fn(|j| f64::from(i == j))).collect();
        let terms = [3.0, 0.0, 0.0, 4.0, 0.0];
        assert!((standard_error(&rows, terms) - 5.0).abs() < 1e-9);
        rows.push([0.0, 0.0, 0.0, 1e9, 0.0]);
        assert!((standard_error(&rows, terms) - 3.0).abs() < 1e-6);
    }
}
